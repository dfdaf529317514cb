// The official client asks once for the whole answer and once for its pieces: `node client.js ADDRESS PICTURE QUESTION`.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const [address, picture, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0, timeout: 100_000 });
const url = `data:image/jpeg;base64,${readFileSync(picture).toString("base64")}`;
const content = [{ type: "text", text: question }, { type: "image_url", image_url: { url } }];
const asked = { model: "nano", messages: [{ role: "user", content }] };

const whole = await client.chat.completions.create(asked);
const pieces = [];
for await (const piece of await client.chat.completions.create({ ...asked, stream: true })) pieces.push(piece);
console.log(JSON.stringify({ whole, pieces }));
