// What stands between a browser and the server: can be cut in the middle of an event, can lose an answer, can mount it below a prefix.
import http from 'node:http';
import { freePort } from './server.mjs';

export class Proxy {
  /** `host`: another name of this machine, by which the browser calls. */
  constructor(target, prefix = '/', host = '127.0.0.1') {
    this.target = new URL(target);
    this.host = host;
    this.prefix = prefix;
    this.tearing = null;
    this.losing = null;
    this.requests = [];
  }

  async start() {
    this.port ??= await freePort();
    this.url = `http://${this.host}:${this.port}${this.prefix}`;
    this.server = http.createServer((request, response) => this.pass(request, response));
    await new Promise((resolve, reject) => { this.server.once('error', reject); this.server.listen(this.port, '127.0.0.1', resolve); });
    this.server.unref();
    return this;
  }

  pass(request, response) {
    if (!request.url.startsWith(this.prefix)) { response.writeHead(404).end('outside'); return; }
    const path = `/${request.url.slice(this.prefix.length)}`;
    this.requests.push(`${request.method} ${path}`);
    const up = http.request({ host: this.target.hostname, port: this.target.port, method: request.method, path, headers: request.headers }, (answer) => {
      if (this.losing?.test(path)) { this.losing = null; up.destroy(); response.destroy(); this.lost?.(); return; }
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      let torn = false;
      answer.on('data', (piece) => {
        if (torn) return;
        // Half of an event goes through, and then nothing more.
        if (this.tearing && /jobs|stream/.test(path) && piece.length > 8) {
          response.write(piece.subarray(0, piece.length >> 1));
          torn = true;
          this.tearing();
          return;
        }
        response.write(piece);
      });
      answer.on('end', () => { if (!torn) response.end(); });
      answer.on('error', () => response.destroy());
    });
    up.on('error', () => response.destroy());
    response.on('close', () => up.destroy());
    request.pipe(up);
  }

  /** No connection any more, and no new ones. `torn`: the next piece of a stream goes through by half first. */
  async cut({ torn = false } = {}) {
    if (torn) await new Promise((resolve) => { this.tearing = () => { this.tearing = null; setImmediate(resolve); }; });
    const closed = new Promise((resolve) => { this.server.close(resolve); });
    this.server.closeAllConnections();
    await closed;
  }

  mend() {
    return this.start();
  }

  /** The next answer to such a path is lost on its way, after the server has done what was asked. */
  lose(path) {
    return new Promise((resolve) => { this.losing = path; this.lost = resolve; });
  }

  async stop() {
    if (this.server.listening) await this.cut();
  }
}
