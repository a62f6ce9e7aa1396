"""What the commands of the Makefile call: notebooks, server, browser, npm packages."""
