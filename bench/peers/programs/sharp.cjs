// A small image server as a Node team writes it: sharp for pictures, pdf-lib for documents.
const http = require('http');
const sharp = require('sharp');
const {PDFDocument} = require('pdf-lib');

async function body(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function picture(query, input) {
  const width = Number(query.get('width')) || undefined;
  const animated = query.get('animated') === 'true';
  return sharp(input, {animated})
    .autoOrient()
    .resize({width, withoutEnlargement: true})
    .toFormat(query.get('target'), {quality: Number(query.get('quality'))})
    .toBuffer();
}

async function documents(request) {
  const form = await new Response(await body(request), {
    headers: {'content-type': request.headers['content-type']},
  }).formData();
  return Promise.all(form.getAll('file').map((file) => file.arrayBuffer()));
}

async function merged(request) {
  const target = await PDFDocument.create();
  for (const file of await documents(request)) {
    const source = await PDFDocument.load(file);
    for (const page of await target.copyPages(source, source.getPageIndices())) target.addPage(page);
  }
  return Buffer.from(await target.save());
}

async function bound(request) {
  const target = await PDFDocument.create();
  for (const file of await documents(request)) {
    const image = await target.embedJpg(file);
    target.addPage([image.width, image.height]).drawImage(image, {x: 0, y: 0});
  }
  return Buffer.from(await target.save());
}

http.createServer(async (request, response) => {
  try {
    const url = new URL(request.url, 'http://localhost');
    const made = url.pathname === '/merge' ? await merged(request)
      : url.pathname === '/bind' ? await bound(request)
      : await picture(url.searchParams, await body(request));
    response.writeHead(200, {'content-length': made.length});
    response.end(made);
  } catch (error) {
    response.writeHead(422);
    response.end(String(error.message));
  }
}).listen(Number(process.env.PORT), '127.0.0.1');
