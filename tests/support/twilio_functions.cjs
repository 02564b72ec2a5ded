// A stand-in for Twilio's Functions runtime: `node twilio_functions.cjs FOLDER PORT`, the functions' environment in ours.
// It does what the runtime documents: query and form become `event`, the environment `context`; `Twilio` is the real helper
// library; a function is Protected: a request that is not signed gets 403. What it has answered is printed, a line each.
const http = require('node:http');
const path = require('node:path');
const twilio = require('twilio');

const [folder, port] = process.argv.slice(2);
const NAMES = ['engage', 'call-complete', 'transfer-state'];
globalThis.Twilio = twilio;
const handlers = new Map(NAMES.map((name) => [`/${name}`, require(path.join(folder, `${name}.js`)).handler]));

function answerOf(value) {
  if (value instanceof twilio.twiml.VoiceResponse) {
    return ['text/xml', value.toString()];
  }
  return typeof value === 'string' ? ['text/plain', value] : ['application/json', JSON.stringify(value)];
}

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, `http://127.0.0.1:${port}`);
  const handler = handlers.get(url.pathname);
  const end = (status, type, body) => {
    const shown = body.replace(/\/twilio\/[^"]+/, '/twilio/TOKEN');
    console.log(JSON.stringify({ path: url.pathname, status, body: shown }));
    response.writeHead(status, { 'content-type': type }).end(body);
  };
  if (handler === undefined) {
    response.writeHead(url.pathname === '/health' ? 200 : 404).end();
    return;
  }
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
  const signature = request.headers['x-twilio-signature'] ?? '';
  if (!twilio.validateRequest(process.env.TWILIO_AUTH_TOKEN, signature, url.href, form)) {
    end(403, 'text/plain', 'not signed');
    return;
  }
  const event = { request: { headers: request.headers, cookies: {} }, ...Object.fromEntries(url.searchParams), ...form };
  try {
    await handler({ ...process.env, DOMAIN_NAME: `127.0.0.1:${port}` }, event, (error, value) => {
      if (error) {
        end(500, 'text/plain', 'the function failed');
      } else {
        end(200, ...answerOf(value));
      }
    });
  } catch (error) {
    console.error(error);
    end(500, 'text/plain', 'the function threw');
  }
});
server.listen(Number(port), '127.0.0.1');
