// One answer in three framings, on the frameworks of Node, on Deno and on Bun, which count it.
//
//     node answer.mjs SERVER ADDRESS PORT
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import process from "node:process";
import { Readable } from "node:stream";

const [server, hostname, portText] = process.argv.slice(2);
const port = Number(portText);
const body = JSON.stringify({ label: process.env.LABEL });
const installed = createRequire(`${process.env.MODULES}/`);
const counts = fs.openSync(process.env.COUNTS, "a");

// Counts a request, and returns the header and the pieces of its answer.
function answer(path) {
  fs.writeSync(counts, `${path}\n`);
  const framing = path.split("/")[1];
  const headers = { "content-type": "application/json" };
  if (framing === "chunked") return [headers, [body.slice(0, 7), body.slice(7)]];
  headers["content-length"] = String(body.length);
  if (framing === "close") headers.connection = "close";
  return [headers, [body]];
}

function write(response, path) {
  const [headers, pieces] = answer(path);
  response.writeHead(200, headers);
  for (const piece of pieces) response.write(piece);
  response.end();
}

function fetched(request) {
  const [headers, pieces] = answer(new URL(request.url).pathname);
  if (pieces.length === 1) return new Response(body, { headers });
  const encoder = new TextEncoder();
  const stream = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      controller.close();
    },
  });
  return new Response(stream, { headers });
}

const servers = {
  http: () => http.createServer((request, response) => write(response, request.url)).listen(port, hostname),
  async express() {
    const express = installed("express");
    const application = express();
    application.use((request, response) => write(response, request.path));
    application.listen(port, hostname);
  },
  async koa() {
    const Koa = installed("koa");
    const application = new Koa();
    application.use((context) => {
      const [headers, pieces] = answer(context.path);
      context.set(headers);
      context.body = pieces.length === 1 ? body : Readable.from(pieces);
    });
    application.listen(port, hostname);
  },
  async fastify() {
    const fastify = installed("fastify");
    const application = fastify();
    application.get("/*", (request, reply) => {
      const [headers, pieces] = answer(request.url);
      reply.headers(headers).send(pieces.length === 1 ? body : Readable.from(pieces));
    });
    await application.listen({ port, host: hostname });
  },
  async hapi() {
    const hapi = installed("@hapi/hapi");
    const application = hapi.server({ port, host: hostname });
    application.route({
      method: "GET",
      path: "/{path*}",
      handler(request, toolkit) {
        const [headers, pieces] = answer(request.path);
        const response = toolkit.response(
          pieces.length === 1 ? body : Readable.from(pieces.map((piece) => Buffer.from(piece)), { objectMode: false }),
        );
        for (const name in headers) if (name !== "content-length") response.header(name, headers[name]);
        return response;
      },
    });
    await application.start();
  },
  async hono() {
    const { Hono } = installed("hono");
    const { serve } = installed("@hono/node-server");
    const application = new Hono();
    application.get("*", (context) => fetched(context.req.raw));
    serve({ fetch: application.fetch, port, hostname });
  },
  deno: () => globalThis.Deno.serve({ port, hostname, onListen() {} }, fetched),
  bun: () => globalThis.Bun.serve({ port, hostname, fetch: fetched }),
};
await servers[server]();
