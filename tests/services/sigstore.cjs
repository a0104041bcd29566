// A stand-in for Sigstore, both GitHub's own (Fulcio, time stamps) and the public one (Fulcio, CT log, Rekor), out of
// npm `@sigstore/mock`: loaded before a program (`node --require`), it answers that program's requests to their hosts.
//
// Keys are made anew for each program. What verifies with them is written to the file TRUSTED_ROOT, as Sigstore writes
// its `trusted_root.json`. Where it differs from Sigstore: Fulcio believes any token, and nothing is kept.

const { createHash, generateKeyPairSync } = require("node:crypto");
const { writeFileSync } = require("node:fs");
const mock = require("@sigstore/mock");
const nock = require("nock");

const ready = start();

for (const [host, path, name] of [
  ["https://fulcio.githubapp.com", "/api/v2/signingCert", "githubFulcio"],
  ["https://timestamp.githubapp.com", "/api/v1/timestamp", "githubTimes"],
  ["https://fulcio.sigstore.dev", "/api/v2/signingCert", "publicFulcio"],
  ["https://rekor.sigstore.dev", "/api/v1/log/entries", "publicRekor"],
]) {
  nock(host)
    .post(path)
    .reply(async (_, body) => {
      const handler = (await ready)[name];
      const { statusCode, response, contentType } = await handler(JSON.stringify(body));
      return [statusCode, response, { "Content-Type": contentType ?? "text/plain" }];
    });
}

async function start() {
  const keys = { ca: pair(), publicCa: pair(), tsa: pair(), ctlog: pair(), rekor: pair() };
  const ctlog = await mock.initializeCTLog(keys.ctlog);
  const ca = await mock.initializeCA(keys.ca); // GitHub's has no CT log
  const publicCa = await mock.initializeCA(keys.publicCa, ctlog);
  const tsa = await mock.initializeTSA(keys.tsa);
  // Whole seconds: the mock writes 1 to 99 milliseconds with two digits, and whoever verifies refuses such a time.
  tsa.getCurrentTime = () => new Date(1000 * Math.floor(Date.now() / 1000));
  const rekor = await mock.initializeTLog("https://rekor.sigstore.dev", keys.rekor);
  const root = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    certificateAuthorities: [
      authority("fulcio.githubapp.com", ca.rootCertificate),
      authority("fulcio.sigstore.dev", publicCa.rootCertificate),
    ],
    timestampAuthorities: [authority("timestamp.githubapp.com", tsa.intCertificate, tsa.rootCertificate)],
    tlogs: [log("rekor.sigstore.dev", keys.rekor)],
    ctlogs: [log("ctfe.sigstore.dev", keys.ctlog)],
  };
  writeFileSync(process.env.TRUSTED_ROOT, JSON.stringify(root));
  const write = mock.rekorHandler(rekor).fn;
  return {
    githubFulcio: mock.fulcioHandler(ca).fn,
    githubTimes: mock.tsaHandler(tsa).fn,
    publicFulcio: mock.fulcioHandler(publicCa).fn,
    publicRekor: (body) => write(JSON.stringify(entry(JSON.parse(body)))),
  };
}

// What Rekor keeps of a proposed `dsse` entry; the mock would keep the proposal.
function entry({ apiVersion, kind, spec }) {
  const { envelope, verifiers } = spec.proposedContent;
  const { payload, signatures } = JSON.parse(envelope);
  const hash = (bytes) => ({ algorithm: "sha256", value: createHash("sha256").update(bytes).digest("hex") });
  return {
    apiVersion,
    kind,
    spec: {
      envelopeHash: hash(envelope),
      payloadHash: hash(Buffer.from(payload, "base64")),
      signatures: signatures.map(({ sig }) => ({ signature: sig, verifier: verifiers[0] })),
    },
  };
}

function pair() {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function authority(host, ...chain) {
  const certificates = chain.map((each) => ({ rawBytes: each.toString("base64") }));
  return {
    subject: { organization: "A stand-in", commonName: host },
    uri: `https://${host}`,
    certChain: { certificates },
    validFor: { start: "1970-01-01T00:00:00Z" },
  };
}

function log(host, { publicKey }) {
  const der = publicKey.export({ format: "der", type: "spki" });
  return {
    baseUrl: `https://${host}`,
    hashAlgorithm: "SHA2_256",
    publicKey: {
      rawBytes: der.toString("base64"),
      keyDetails: "PKIX_ECDSA_P256_SHA_256",
      validFor: { start: "1970-01-01T00:00:00Z" },
    },
    logId: { keyId: createHash("sha256").update(der).digest("base64") },
  };
}
