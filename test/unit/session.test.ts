import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { createSession, type SessionOwner } from "../../src/tokens/session.js";

function ownerOf(overrides: Partial<SessionOwner> = {}) {
  const commits: object[] = [];
  const owner = {
    isNew: false,
    externalKey: "the-id",
    maxAgeInSeconds: null as number | null,
    defaultMaxAgeInSeconds: 3600,
    keepsUnderscored: false,
    commit: async (options: object) => {
      commits.push(options);
    },
    ...overrides,
  };
  return { owner, commits };
}
const sessionOf = (data: object) => createSession(ownerOf().owner, data);

describe("the surface of koa-session", () => {
  test("members are read, written and deleted by name", () => {
    const session = sessionOf({ user: "a", nested: { deep: 1 } });
    session["nested"].deep = 2;
    session["more"] = true;
    delete session["user"];
    expect(session.toJSON()).toEqual({ nested: { deep: 2 }, more: true });
    expect(JSON.stringify(session)).toBe('{"nested":{"deep":2},"more":true}');
    expect(inspect(session)).toBe("{ nested: { deep: 2 }, more: true }");
  });

  test("length and populated count the members that are stored", () => {
    const session = sessionOf({});
    expect(session.length).toBe(0);
    expect(session.populated).toBe(false);
    session["a"] = 1;
    session["_hidden"] = 2;
    session["method"] = () => 0;
    expect(session.length).toBe(1);
    expect(session.populated).toBe(true);
    expect(session.toJSON()).toEqual({ a: 1 });
  });

  test("isNew and externalKey are its owner's, whatever is written to them", () => {
    const session = createSession(ownerOf({ isNew: true, externalKey: undefined }).owner, {});
    expect(session.isNew).toBe(true);
    expect(session.externalKey).toBeUndefined();
    expect(sessionOf({}).externalKey).toBe("the-id");
    // koa-session takes it without a word, to no effect on what is stored.
    session.isNew = false;
    expect(session.isNew).toBe(true);
    expect(session.toJSON()).toEqual({});
  });

  test("maxAge is in milliseconds; what is no positive number goes back to the configured one", () => {
    const { owner } = ownerOf();
    const session = createSession(owner, {});
    expect(session.maxAge).toBe(3_600_000);
    session.maxAge = 1_500;
    expect(owner.maxAgeInSeconds).toBe(2);
    expect(session.maxAge).toBe(2_000);
    for (const other of ["session", null, undefined, 0, -1, Number.NaN]) {
      session.maxAge = 60_000;
      session.maxAge = other;
      expect(session.maxAge).toBe(3_600_000);
    }
  });

  test("save, regenerate and manuallyCommit commit, by promise or callback", async () => {
    const { owner, commits } = ownerOf();
    const session = createSession(owner, {});
    await session.save();
    await session.regenerate();
    await session.manuallyCommit();
    expect(commits).toEqual([{ save: true }, { regenerate: true }, {}]);
    const told = await new Promise((resolve) => void session.save((error) => resolve(error)));
    expect(told).toBeUndefined();
  });

  test("a callback is told of the failure, and the promise does not reject as well", async () => {
    const failure = new Error("down");
    const { owner } = ownerOf({ commit: () => Promise.reject(failure) });
    const session = createSession(owner, {});
    let told: unknown;
    await session.save((error) => {
      told = error;
    });
    expect(told).toBe(failure);
    await expect(session.save()).rejects.toBe(failure);
  });
});

describe("data is data", () => {
  test("a member named __proto__ or constructor changes no prototype", () => {
    const session = sessionOf(JSON.parse('{"__proto__":{"admin":true},"constructor":1}') as object);
    expect((session as { admin?: unknown }).admin).toBeUndefined();
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
    expect(JSON.stringify(session)).toBe('{"constructor":1}');
  });

  test("stored members that are named like the surface do not stand in its way", () => {
    const session = sessionOf({ maxAge: 1, isNew: "yes", length: 7, populated: 0, externalKey: 2 });
    expect(session.isNew).toBe(false);
    expect(session.length).toBe(0);
    expect(session.maxAge).toBe(3_600_000);
  });
});
