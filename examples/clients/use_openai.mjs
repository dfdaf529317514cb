// OpenAI's own client for Node: `node use_openai.mjs http://127.0.0.1:8000`.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const [place = "http://127.0.0.1:8000", examples = ".."] = process.argv.slice(2); // the folder of plaza.jpg
const client = new OpenAI({ baseURL: `${place}/v1`, apiKey: "none", maxRetries: 0, timeout: 100_000 });
const url = `data:image/jpeg;base64,${readFileSync(`${examples}/plaza.jpg`).toString("base64")}`;
const text = readFileSync(`${examples}/plaza.txt`, "utf8").trim();
const messages = [{ role: "user", content: [{ type: "text", text }, { type: "image_url", image_url: { url } }] }];
const later = "What color is the diamond on the cyan board?";
const properties = { reasoning: { type: "string" }, answer: { type: "string" } };
const schema = { type: "object", properties, required: ["reasoning", "answer"], additionalProperties: false };

async function ask(more = {}) {
  return (await client.chat.completions.create({ model: "nano", messages, ...more })).choices[0].message;
}

const tried = {
  question: async () => (await ask()).content,
  "follow-up": async () => (await ask({ messages: [...messages, await ask(), { role: "user", content: later }] })).content,
  schema: async () => {
    const format = { type: "json_schema", json_schema: { name: "seen", strict: true, schema } };
    const reply = await client.chat.completions.parse({ model: "nano", messages, response_format: format });
    return JSON.parse(reply.choices[0].message.content).answer;
  },
  stream: async () => {
    const options = { model: "nano", messages, stream: true, stream_options: { include_usage: true } };
    let text = "", tokens = 0;
    for await (const piece of await client.chat.completions.create(options)) {
      text += piece.choices[0]?.delta.content ?? "";
      tokens = piece.usage?.total_tokens ?? tokens;
    }
    return `${text} (${tokens} tokens)`;
  },
};
for (const [name, work] of Object.entries(tried)) {
  const found = await work().catch((error) => `${error.name}: ${error.message}`);
  console.log(`${name}: ${String(found).replaceAll(/\s+/g, " ")}`);
}
