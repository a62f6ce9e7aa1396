// The packages lie in a cache, where `import` would not find them: NODE_PATH serves `require` only.
const js = require("@eslint/js");
const globals = require("globals");

module.exports = [
  {
    files: ["bnviz/{page,bench,jupyter}/**/*.js", "bnviz/poster/*.cjs", "tests/firefox/*js"],
    ...js.configs.recommended,
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    rules: {
      ...js.configs.recommended.rules,
      // `_` stands where a signature or a pattern names what nobody reads
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["bnviz/poster/*.cjs", "tests/firefox/*.cjs"],
    languageOptions: { sourceType: "commonjs", globals: globals.node },
  },
  {
    files: ["bnviz/page/worker.js"],
    languageOptions: { globals: globals.worker },
  },
  {
    files: ["bnviz/bench/watch.js"],
    languageOptions: { sourceType: "script", globals: { Plotly: "readonly" } },
  },
];
