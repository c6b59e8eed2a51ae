import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createSessionStore, type SessionStore } from "../../src/tokens/index.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";

let database: TestDatabase;
let clock: TestClock;
let store: SessionStore;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  clock = new TestClock();
  store = createSessionStore({
    pool: database.pool,
    clock: clock.now,
    signingKeys: [{ kid: "a", alg: "HS256", key: "a".repeat(32) }],
  });
});

describe("create and get", () => {
  test("give the data back, with an id and a version", async () => {
    const data = { userId: "user-1", nested: { list: [1, null, "é"] } };
    const pair = await store.create(data);
    expect(pair.accessTokenExpiresAt.getTime() - clock.now().getTime()).toBeLessThanOrEqual(
      900_000,
    );
    expect(await store.get(pair.accessToken)).toEqual({
      id: pair.sessionId,
      checksum: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      data,
    });
  });

  test("each reader has a copy of its own", async () => {
    const { accessToken } = await store.create({ list: [1] });
    const [first, second] = await Promise.all([store.get(accessToken), store.get(accessToken)]);
    (first!.data["list"] as number[]).push(2);
    expect(second!.data).toEqual({ list: [1] });
  });

  test("take ids from the generator they are given", async () => {
    let made = 0;
    const generateId = () => `00000000-0000-4000-8000-${String((made += 1)).padStart(12, "0")}`;
    const own = createSessionStore({
      pool: database.pool,
      generateId,
      signingKeys: [{ kid: "a", alg: "HS256", key: "a".repeat(32) }],
    });
    expect((await own.create({})).sessionId).toMatch(/^00000000-0000-4000-8000-00000000000\d$/);
    expect(made).toBe(3);
  });
});

describe("update", () => {
  test("of what get gave writes only what changed: two writers lose nothing", async () => {
    const { accessToken } = await store.create({ a: 1, b: 1 });
    const [first, second] = [await store.get(accessToken), await store.get(accessToken)];
    first!.data["a"] = 2;
    second!.data["b"] = 2;
    delete second!.data["a"];
    second!.data["c"] = 3;
    await store.update(first!);
    const updated = await store.update(second!);
    expect(updated.data).toEqual({ b: 2, c: 3 });
    expect((await store.get(accessToken))?.data).toEqual({ b: 2, c: 3 });
    expect((await store.get(accessToken))?.checksum).toBe(updated.checksum);
  });

  test("can go on with what it gave", async () => {
    const { accessToken } = await store.create({ count: 0 });
    let session = (await store.get(accessToken))!;
    for (let count = 1; count <= 3; count += 1) {
      session.data["count"] = count;
      session = await store.update(session);
    }
    expect((await store.get(accessToken))?.data).toEqual({ count: 3 });
  });

  test("without a change is no statement", async () => {
    const { accessToken } = await store.create({ a: 1 });
    const session = (await store.get(accessToken))!;
    database.statements.reset();
    expect(await store.update(session)).toBe(session);
    expect(database.queries).toEqual([]);
  });

  test("of an object of the caller's own replaces the data if its version is still the one", async () => {
    const { accessToken } = await store.create({ a: 1, b: 1 });
    const { id, checksum } = (await store.get(accessToken))!;
    const replaced = await store.update({ id, checksum, data: { c: 1 } });
    expect((await store.get(accessToken))?.data).toEqual({ c: 1 });
    expect(replaced.checksum).not.toBe(checksum);
    const stale = store.update({ id, checksum, data: { d: 1 } });
    await expect(stale).rejects.toMatchObject({ code: "session-conflict", status: 409 });
    expect((await store.get(accessToken))?.data).toEqual({ c: 1 });
  });

  test("of an ended session is session-ended, either way", async () => {
    const { accessToken, sessionId } = await store.create({ a: 1 });
    const session = (await store.get(accessToken))!;
    await store.invalidate({ id: sessionId });
    session.data["a"] = 2;
    await expect(store.update(session)).rejects.toMatchObject({ code: "session-ended" });
    const own = { id: sessionId, checksum: session.checksum, data: {} };
    await expect(store.update(own)).rejects.toMatchObject({ code: "session-ended" });
  });
});

describe("invalidate and refreshTokens", () => {
  test("an ended session is unknown to every token; ending it twice is no error", async () => {
    const pair = await store.create({ a: 1 });
    const next = (await store.refreshTokens(pair.refreshToken))!;
    await store.invalidate({ id: pair.sessionId });
    await store.invalidate({ id: pair.sessionId });
    for (const { accessToken, refreshToken } of [pair, next]) {
      expect(await store.get(accessToken)).toBeUndefined();
      expect(await store.refreshTokens(refreshToken)).toBeUndefined();
    }
  });

  test("events tell of a refresh and of a leak", async () => {
    const told: [string, string][] = [];
    store.on("refreshed", ({ sessionId }) => told.push(["refreshed", sessionId]));
    store.on("session:leaked", ({ sessionId }) => told.push(["leaked", sessionId]));
    const { refreshToken, sessionId } = await store.create({});
    await store.refreshTokens(refreshToken);
    clock.advance(15);
    expect(await store.refreshTokens(refreshToken)).toBeUndefined();
    expect(told).toEqual([
      ["refreshed", sessionId],
      ["leaked", sessionId],
    ]);
  });

  test("a listener that throws or rejects fails nobody's refresh", async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on("warning", warned);
    store.on("refreshed", () => {
      throw new Error("of a listener");
    });
    // eslint-disable-next-line @typescript-eslint/no-misused-promises
    store.on("refreshed", async () => Promise.reject(new Error("of a listener")));
    const { refreshToken } = await store.create({});
    expect(await store.refreshTokens(refreshToken)).toBeDefined();
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", warned);
    expect(warnings.map(({ message }) => message)).toEqual(["of a listener", "of a listener"]);
  });
});
