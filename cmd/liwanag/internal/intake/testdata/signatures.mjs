// Makes signatures.json: webhooks signed by implementations that share nothing
// with ours. Where a sender's own library exists it signs; the others are written
// down here from their documents with Node's crypto.
//
// To make it again, in an empty folder with Node 20 or later:
//
//	npm install standardwebhooks@1.1.1 svix@1.99.1
//	cp PATH/TO/internal/intake/testdata/signatures.mjs . && node signatures.mjs > signatures.json

import { createHmac } from "node:crypto";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const at = new Date("2026-11-22T12:00:00.007Z");
const seconds = String(Math.floor(at.getTime() / 1000));
const millis = String(at.getTime());
const body = '{"member":{"current":{"email":"zoë+news@gmail.com","name":"Zoë"},"previous":{}}}\n';
const id = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W";
const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const secret = "0f8c1d5a7be34c0f9c2e6d4b";
const mac = (hash, text, encoding) => createHmac(hash, secret).update(text, "utf8").digest(encoding);
const profile = (settings, headers, when) => ({ scheme: "hmac", profile: settings, secret, headers, body, at: when });

const vectors = {
  "standard-webhooks": {
    scheme: "standard-webhooks", secret: whsec, body, at: seconds + "000", id,
    headers: { "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": new Standard(whsec).sign(id, at, body) },
  },
  svix: {
    scheme: "svix", secret: whsec, body, at: seconds + "000", id,
    headers: { "svix-id": id, "svix-timestamp": seconds, "svix-signature": new Svix(whsec).sign(id, at, body) },
  },
  ghost: {
    scheme: "ghost", secret, body, at: millis,
    headers: { "X-Ghost-Signature": `sha256=${mac("sha256", body + millis, "hex")}, t=${millis}` },
  },
  "ghost, older": {
    scheme: "ghost-body", secret, body, at: millis,
    headers: { "X-Ghost-Signature": `sha256=${mac("sha256", body, "hex")}, t=${millis}` },
  },
  kit: {
    scheme: "kit", secret, body, at: seconds + "000",
    headers: { "X-Kit-Signature": `t=${seconds},v1=${mac("sha256", `${seconds}.${body}`, "hex")}` },
  },
  "kit, while its secret is rotated": {
    scheme: "kit", secret, body, at: seconds + "000",
    headers: { "X-Kit-Signature": `t=${seconds},v1=${"00".repeat(32)},v1=${mac("sha256", `${seconds}.${body}`, "hex")}` },
  },
  bearer: { scheme: "bearer", secret, body, headers: { Authorization: `Bearer ${secret}` } },
  "SHA-1 of the body, hex": profile({ header: "X-Signature", hash: "sha1" }, { "X-Signature": mac("sha1", body, "hex") }),
  "SHA-256 of the body, prefixed": profile(
    { header: "X-Hub-Signature-256", prefix: "sha256=" }, { "X-Hub-Signature-256": "sha256=" + mac("sha256", body, "hex") }),
  "SHA-512 of the body, base64": profile(
    { header: "X-Signature", hash: "sha512", encoding: "base64" }, { "X-Signature": mac("sha512", body, "base64") }),
  "version, time and body": profile(
    { header: "X-Example-Signature", timestampHeader: "X-Example-Timestamp", signed: "v0:{timestamp}:{body}" },
    { "X-Example-Signature": mac("sha256", `v0:${seconds}:${body}`, "hex"), "X-Example-Timestamp": seconds }, seconds + "000"),
  "time and signature in one header": profile(
    { header: "X-Sig", prefix: "v1=", timestampHeader: "x-sig", signed: "{timestamp}.{body}" },
    { "X-Sig": `t=${seconds},v1=${mac("sha256", `${seconds}.${body}`, "hex")}` }, seconds + "000"),
  "time and signature in one header, other words": profile(
    { header: "X-Sig", prefix: "h1=", timestampHeader: "X-Sig", timestampPrefix: "ts=", signed: "{timestamp}:{body}" },
    { "X-Sig": `ts=${seconds};h1=${mac("sha256", `${seconds}:${body}`, "hex")}` }, seconds + "000"),
  "time in milliseconds": profile(
    { header: "X-Sig", timestampHeader: "X-Time", signed: "{timestamp}:{body}" },
    { "X-Sig": mac("sha256", `${millis}:${body}`, "hex"), "X-Time": millis }, millis),
  "time in RFC 3339": profile(
    { header: "X-Sig", timestampHeader: "X-Time", signed: "{timestamp}{body}" },
    { "X-Sig": mac("sha256", at.toISOString() + body, "hex"), "X-Time": at.toISOString() }, millis),
  "time as a date of HTTP": profile(
    { header: "X-Sig", timestampHeader: "X-Time", signed: "{body}{timestamp}" },
    { "X-Sig": mac("sha256", body + at.toUTCString(), "hex"), "X-Time": at.toUTCString() }, seconds + "000"),
  "base64 without padding": profile(
    { header: "X-Sig", encoding: "base64" }, { "X-Sig": mac("sha256", body, "base64").replace(/=+$/, "") }),
  "base64url": profile({ header: "X-Sig", encoding: "base64" }, { "X-Sig": mac("sha256", body, "base64url") }),
  "two signatures while a secret is rotated": profile(
    { header: "X-Sig", prefix: "sha256=" }, { "X-Sig": `sha256=${"00".repeat(32)}, sha256=${mac("sha256", body, "hex")}` }),
  "two without a prefix while a secret is rotated": profile(
    { header: "X-Sig" }, { "X-Sig": `${"00".repeat(32)},${mac("sha256", body, "hex")}` }),
  "id, time and body": {
    ...profile(
      { header: "X-Sig", prefix: "v1 ", encoding: "base64", timestampHeader: "X-Time", idHeader: "X-Id", toleranceSeconds: 60, signed: "{id}\n{timestamp}\n{body}" },
      { "X-Sig": "v1 " + mac("sha256", `${id}\n${seconds}\n${body}`, "base64"), "X-Time": seconds, "X-Id": id }, seconds + "000"),
    id,
  },
};

console.log(JSON.stringify(vectors, null, "\t"));
