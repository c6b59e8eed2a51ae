import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";

const agent = new Agent({ keepAlive: true, maxSockets: 20 });

export interface Exchanged {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly setCookie: readonly string[];
  /** The body, when it is a JSON object; else empty. */
  readonly parsed: Record<string, any>;
}

/** A request over connections that are kept: of tens of thousands, each has to be cheap. */
export function exchange(
  url: URL,
  method: string,
  headers: OutgoingHttpHeaders,
  body: string | undefined,
): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    request(url, { method, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          setCookie: response.headers["set-cookie"] ?? [],
          parsed: (text.startsWith("{") ? JSON.parse(text) : {}) as Record<string, any>,
        });
      });
    })
      .on("error", reject)
      .end(body);
  });
}
