// A stand-in for `gh attestation verify FILE --bundle BUNDLE --custom-trusted-root ROOT --repo R --predicate-type T`:
// the cryptography is npm `@sigstore/verify`'s, and like `gh` it then holds the repository, the file's SHA-256 and the
// predicate's type against the signed statement, which it prints.
//
// A bundle of the public Sigstore needs an entry in Rekor and one in the CT log; one of GitHub's needs a time stamp.

const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { bundleFromJSON } = require("@sigstore/bundle");
const { TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const ISSUER = "https://token.actions.githubusercontent.com";
const SOURCE_REPOSITORY = [1, 3, 6, 1, 4, 1, 57264, 1, 12];
const UTF8_STRING = 0x0c;

const [file, bundlePath, rootPath, repository, type, visibility] = process.argv.slice(2);

try {
  console.log(JSON.stringify(verified()));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function verified() {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundlePath, "utf8")));
  const root = TrustedRoot.fromJSON(JSON.parse(readFileSync(rootPath, "utf8")));
  const logs = visibility === "public" ? 1 : 0;
  const verifier = new Verifier(toTrustMaterial(root), {
    tlogThreshold: logs,
    ctlogThreshold: logs,
    timestampThreshold: 1,
  });
  const uri = Buffer.from(`https://github.com/${repository}`);
  const value = Buffer.concat([Buffer.from([UTF8_STRING, uri.length]), uri]);
  const policy = { extensions: { issuer: ISSUER }, oids: [{ oid: { id: SOURCE_REPOSITORY }, value }] };
  verifier.verify(toSignedEntity(bundle), policy);

  const statement = JSON.parse(bundle.content.dsseEnvelope.payload.toString());
  const digest = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (!statement.subject.some((each) => each.digest.sha256 === digest)) {
    throw new Error(`the statement is not about ${digest}`);
  }
  if (statement.predicateType !== type) {
    throw new Error(`the predicate is a ${statement.predicateType}`);
  }
  return statement;
}
