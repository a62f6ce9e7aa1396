/**
 * A reader in Firefox, who does the tasks of `tasks.js`: a plan comes as JSON on the standard input,
 * what was seen goes out as JSON.
 *
 *     plan      {executable, url, pages: {path: [a task, ...]}}
 *     a task    {do: "train", figure, steps} or {do: "sliders", figure}
 *     the end   {path: {found: [a result per task], errors: [texts]}}
 */
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const puppeteer = require("puppeteer-core");

const TASKS = readFileSync(join(__dirname, "tasks.js"), "utf-8");
const LONG = 600_000; // milliseconds

async function visit(browser, address, tasks) {
  const page = await browser.newPage();
  const errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(address);
  await page.evaluate(TASKS);
  const found = [];
  for (const task of tasks) found.push(await page.evaluate((task) => window.reader[task.do](task), task));
  await page.close();
  return { found, errors };
}

async function main() {
  const { executable, url, pages } = JSON.parse(readFileSync(0, "utf-8"));
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: executable,
    protocolTimeout: LONG,
    // Firefox 140, the current ESR, lacks a command that puppeteer's setViewport sends.
    defaultViewport: null,
    args: ["--width=1200", "--height=1000"],
  });
  try {
    const seen = {};
    for (const [path, tasks] of Object.entries(pages)) seen[path] = await visit(browser, url + path, tasks);
    process.stdout.write(JSON.stringify(seen));
  } finally {
    await browser.close();
  }
}

main();
