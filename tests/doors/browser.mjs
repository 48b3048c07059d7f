// Opens an example page in Chromium, does what it is told, and prints what the page shows.
//
// node browser.mjs <html file> <query> <message to send, or "-"> <text to wait for> [<text after which the page is loaded again>]
// AI_AGENTS_NODE_DIRECTORY has playwright-core, esbuild and the packages of the page, AI_AGENTS_PAGE_DIRECTORY those in the place
// of some of them; AI_AGENTS_PAGE_PORT is the origin's.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const folder = process.env.AI_AGENTS_NODE_DIRECTORY;
const require = createRequire(path.join(folder, "node_modules/"));
const { chromium } = require("playwright-core");
const [file, query, said, expected, reloadAfter] = process.argv.slice(2);

let html = "";
let script = "";
if (file.endsWith(".html")) {
  html = readFileSync(file, "utf8");
} else {
  const build = await require("esbuild").build({
    entryPoints: [file],
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    nodePaths: [process.env.AI_AGENTS_PAGE_DIRECTORY ?? folder, folder].map((each) => path.join(each, "node_modules")),
    define: { "process.env.NODE_ENV": '"production"' },
  });
  script = build.outputFiles[0].text;
  html = '<!doctype html><meta charset="utf-8"><div id="root"></div><script type="module" src="/page.js"></script>';
}
const served = createServer((request, response) => {
  const isScript = request.url === "/page.js";
  response.setHeader("content-type", isScript ? "text/javascript" : "text/html").end(isScript ? script : html);
}).listen(Number(process.env.AI_AGENTS_PAGE_PORT), "127.0.0.1");

const browser = await chromium.launch({
  executablePath: process.env.AI_AGENTS_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(error.message));
  await page.goto(`http://127.0.0.1:${process.env.AI_AGENTS_PAGE_PORT}/?${query}`);
  if (said !== "-") {
    await page.fill("input", said);
    await page.press("input", "Enter");
  } else console.log("opened");
  const shows = (text) => page.waitForFunction((shown) => document.body.innerText.includes(shown), text, { timeout: 30_000 });
  if (reloadAfter) {
    await shows(reloadAfter);
    await page.reload();
    console.log("loaded again");
  }
  await shows(expected);
  if (said !== "-") await shows("ready"); // what useChat says after an answer
  console.log(await page.locator("body").innerText());
} finally {
  await browser.close();
  served.close();
}
