// What a program does with a client that was generated from /openapi.json: it adds
// a person, follows the run that looks them up, reads what came of it, and is told
// by a problem what is wrong. Types are checked when this is compiled: a field or a
// code that the description lacks is an error there.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Problem = components["schemas"]["Problem"];

declare const process: { env: Record<string, string | undefined> };

const baseUrl = process.env["SERVER"] ?? "";
const headers = { Authorization: `Bearer ${process.env["KEY"]}` };
const api = createClient<paths>({ baseUrl, headers });

function need<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.url}: ${answer.response.status} ${answer.error?.code} ${answer.error?.detail}`);
  return answer.data;
}

function refused(answer: { error?: Problem; response: Response }): Problem & { contentType: string | null } {
  if (answer.error === undefined) throw new Error(`${answer.response.url} was not refused`);
  return { ...answer.error, contentType: answer.response.headers.get("Content-Type") };
}

async function heard(stream: ReadableStream<Uint8Array>, what: string): Promise<boolean> {
  const reader = stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  for (let text = ""; !text.includes(what); ) {
    const { value, done } = await reader.read();
    if (done) return false;
    text += value;
  }
  await reader.cancel();
  return true;
}

const events = await api.GET("/api/v1/events", { parseAs: "stream" });
const added = need(await api.POST("/api/v1/subscribers", { body: { email: "maria.santos+found@gmail.com", source: "generated" } }));
const runId = added.runId ?? "";
const subscriberId = added.subscriberId ?? ""; // only who is suppressed gets none
const hint = await heard(need(events) as unknown as ReadableStream<Uint8Array>, `"run":"${runId}"`);

let run = need(await api.GET("/api/v1/runs/{id}", { params: { path: { id: runId } } }));
while (run.status === "pending" || run.status === "running" || run.status === "waiting") {
  await new Promise((resolve) => setTimeout(resolve, 50));
  run = need(await api.GET("/api/v1/runs/{id}", { params: { path: { id: runId } } }));
}
const people = need(await api.GET("/api/v1/subscribers", { params: { query: { status: "enriched", limit: 10 } } }));
const person = need(await api.GET("/api/v1/subscribers/{id}", { params: { path: { id: subscriberId } } }));
const counted = need(await api.POST("/api/v1/runs/cancel", { body: { status: "waiting", dryRun: true } }));

const notFound = refused(await api.GET("/api/v1/runs/{id}", { params: { path: { id: "run_01980000-0000-7000-8000-000000000000" } } }));
const invalid = refused(await api.POST("/api/v1/subscribers", { body: { email: "nobody" } }));
const stranger = refused(await createClient<paths>({ baseUrl }).GET("/api/v1/credits"));

const erased = await api.DELETE("/api/v1/subscribers/{id}", { params: { path: { id: subscriberId }, query: { reason: "a test" } } });

console.log(JSON.stringify({
  status: added.status, hint, run: run.status, steps: run.steps.map((s) => s.name), emails: people.items.map((p) => p.email),
  title: person.jobTitle, job: person.jobs[0]?.status, matched: counted.matched, erased: erased.response.status,
  notFound: notFound.code, contentType: notFound.contentType, invalid: invalid.code, field: invalid.errors?.[0]?.field, stranger: stranger.code,
}));
