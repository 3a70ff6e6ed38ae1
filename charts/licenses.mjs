// Writes the licences of what esbuild put into the script, as its metafile lists it: `node licenses.mjs METAFILE OUT`.
import {readdirSync, readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const [metafile, out] = process.argv.slice(2);
const inputs = Object.values(JSON.parse(readFileSync(metafile, "utf8")).outputs).flatMap((output) =>
  Object.entries(output.inputs).filter(([, input]) => input.bytesInOutput > 0).map(([path]) => path)
);
const folders = new Set(inputs.flatMap((path) => path.match(/^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []));
const parts = [...folders].sort().map((folder) => {
  const {name, version, license} = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} ${version} carries no licence text`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
});
writeFileSync(out, `What charts.js consists of, and its licences.\n\n${parts.join(`\n${"-".repeat(72)}\n\n`)}`);
