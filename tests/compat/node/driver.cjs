// Does what a test says with the official Node client: the twin of ../python/driver.py.

'use strict';

const fs = require('fs');
const readline = require('readline');
const ConvertAPI = require('convertapi');

const results = [];
let api;

async function valueOf(value) {
  if (Array.isArray(value)) return Promise.all(value.map(valueOf));
  if (value === null || typeof value !== 'object') return value;
  if ('stream' in value) return api.upload(fs.createReadStream(value.stream), value.name);
  if ('result' in value) return results[value.result];
  const [number, index] = value.file;
  return results[number].files[index];
}

const acts = {
  async configure(said) {
    api = new ConvertAPI(said.credentials, { baseUri: said.base_uri });
    return null;
  },
  async convert(said) {
    const parameters = {};
    for (const [name, value] of Object.entries(said.with)) parameters[name] = await valueOf(value);
    const result = await api.convert(said.to, parameters, said.from, said.timeout);
    results.push(result);
    if (result.jobId) return { job: result.jobId };
    const files = result.files.map((one) => ({
      name: one.fileName, size: one.fileSize, url: one.url,
    }));
    return { number: results.length - 1, cost: result.conversionCost, files };
  },
  async save(said) {
    return results[said.number].saveFiles(said.folder);
  },
  async user() {
    return api.getUser();
  },
  async get(said) {
    return api.client.get(said.path);
  },
};

async function answerTo(line) {
  const said = JSON.parse(line);
  try {
    return { ok: await acts[said.do](said) };
  } catch (error) {
    const data = error.data || {};
    return {
      error: error.message, code: data.Code || null, invalid: data.InvalidParameters || {},
    };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answerTo(line))}\n`);
  }
}

main();
