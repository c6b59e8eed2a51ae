import { readdir, readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import type pg from "pg";
import supertest from "supertest";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type TestDatabase, testDatabase } from "./support/database.js";
import { startServer } from "./support/server.js";

// An example exports `createApp(pool)`. That they compile is a matter of `npm run types`.
const folder = new URL("../examples/", import.meta.url);
const names = (await readdir(folder)).filter((name) => name.endsWith(".ts"));

interface Example {
  createApp(pool: pg.Pool): { callback(): RequestListener; silent: boolean };
}

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  const key = { kid: "example", alg: "HS256", key: "an example's key of more than 32 bytes" };
  vi.stubEnv("SESSION_SIGNING_KEYS", JSON.stringify([key]));
});

test("there are some", () => {
  expect(names.length).toBeGreaterThan(2);
});

describe.each(names)("%s", (name) => {
  test("has fewer than 60 lines", async () => {
    const text = await readFile(new URL(name, folder), "utf8");
    expect(text.trimEnd().split("\n").length).toBeLessThan(60);
  });

  test("runs: a stranger is served, a user logs in, is known, and logs out", async () => {
    const example = (await import(new URL(name, folder).href)) as Example;
    const { url, close } = await startServer(example.createApp(database.pool).callback());
    const client = supertest(url);
    try {
      await client.get("/").expect(200);
      const login = await client.get("/login?user=grace").expect(200);
      const token = login.headers["session-access-token"] ?? login.body.access_token;
      expect(token).toBeTypeOf("string");
      const known = await client.get("/").auth(token, { type: "bearer" }).expect(200);
      expect(JSON.stringify(known.body)).toContain("grace");
      await client.post("/session/logout").auth(token, { type: "bearer" }).expect(204);
      await client.get("/").auth(token, { type: "bearer" }).expect(401);
    } finally {
      await close();
    }
  });
});
