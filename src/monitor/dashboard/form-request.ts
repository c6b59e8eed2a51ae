import type { Context } from "koa";

// More than any form of the page.
const maximumBodyLength = 16 * 1024;

/** Whether a page of this very site has sent the request (Fetch Metadata; `Origin` where that is absent). */
export function isSameOrigin(ctx: Context): boolean {
  const site = ctx.get("Sec-Fetch-Site");
  // Not ctx.origin: that is the page's origin in Koa 2, and what the request says in Koa 3.
  const own = `${ctx.protocol}://${ctx.host}`;
  return site === "" ? ctx.get("Origin") === own : site === "same-origin";
}

/**
 * The fields of a form, from a body parser that ran before or read here; none of a body that is no form or
 * is too large.
 */
export async function readForm(ctx: Context): Promise<(name: string) => string> {
  const body = "body" in ctx.request ? ctx.request.body : undefined;
  if (typeof body === "object" && body !== null) {
    const fields = new Map<string, unknown>(Object.entries(body));
    return (name) => textOf(fields.get(name));
  }
  const fields = new URLSearchParams(ctx.is("urlencoded") === false ? "" : await readBody(ctx));
  return (name) => textOf(fields.get(name));
}

const textOf = (value: unknown) => (typeof value === "string" ? value : "");

async function readBody(ctx: Context): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= maximumBodyLength) chunks.push(chunk);
  }
  return length <= maximumBodyLength ? Buffer.concat(chunks).toString("utf8") : "";
}
