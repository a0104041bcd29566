// A stand-in for `actions/attest@v4`: from the same inputs it calls the same library (npm `@actions/attest`, which lies
// in the folder LIBRARY), and leaves the bundle where the output `bundle-path` says. It knows the inputs of a subject
// by digest and of a predicate in a file.

const { appendFileSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");

main();

async function main() {
  const { attest } = await import(pathToFileURL(join(process.env.LIBRARY, "lib", "index.js")));
  const [algorithm, digest] = input("subject-digest").split(":");
  const visibility = JSON.parse(readFileSync(process.env.GITHUB_EVENT_PATH, "utf8")).repository.visibility;
  const { bundle } = await attest({
    subjects: [{ name: input("subject-name"), digest: { [algorithm]: digest } }],
    predicateType: input("predicate-type"),
    predicate: JSON.parse(readFileSync(input("predicate-path"), "utf8")),
    sigstore: visibility === "public" ? "public-good" : "github",
    token: input("github-token"),
  });
  const path = join(process.env.RUNNER_TEMP, "attestation.json");
  writeFileSync(path, `${JSON.stringify(bundle)}\n`);
  appendFileSync(process.env.GITHUB_OUTPUT, `bundle-path<<END\n${path}\nEND\n`);
}

function input(name) {
  const value = process.env[`INPUT_${name.toUpperCase()}`];
  if (!value) {
    throw new Error(`the input ${name} is missing`);
  }
  return value;
}
