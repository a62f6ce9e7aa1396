"""Where figures live: `jupyter` shows them in a kernel, `page` in the published book."""
