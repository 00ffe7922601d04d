// The official client as a program of its own, since what a Node trusts beside the system's authorities is read when it starts.
import OpenAI from 'openai';

const client = new OpenAI({ apiKey: process.env.KEY, baseURL: process.env.BASE, maxRetries: 0 });
const models = (await client.models.list()).data.map(({ id }) => id);
const asked = { model: models[0], prompt: 'cat (noun):', max_tokens: 12, temperature: 0 };
const text = (await client.completions.create(asked)).choices[0].text;
let streamed = '';
for await (const { choices } of await client.completions.create({ ...asked, stream: true })) streamed += choices[0].text;
process.stdout.write(JSON.stringify({ models, text, streamed: streamed === text }));
