import { expect, test } from "vitest";
import { ChangedSessions, placeOf } from "../../src/store/changed-sessions.js";

const one = "00000000-0000-4000-8000-000000000001";
const other = "00000000-0000-4000-8000-000000000002";
const alike = "ffffffff-ffff-4fff-8fff-ffffffff0001";

test("a session has changed since the moments before its last change, and no other has", () => {
  const changes = new ChangedSessions();
  const before = changes.moment;
  changes.note(one);
  expect(changes.hasChangedSince(before, placeOf(one))).toBe(true);
  expect(changes.hasChangedSince(changes.moment, placeOf(one))).toBe(false);
  expect(changes.hasChangedSince(before, placeOf(other))).toBe(false);
  expect(changes.hasChangedSince(before, placeOf(alike))).toBe(true);
});

test("when all may have changed, each has", () => {
  const changes = new ChangedSessions();
  changes.note(one);
  const before = changes.moment;
  changes.noteAll();
  expect(changes.hasChangedSince(before, placeOf(other))).toBe(true);
  expect(changes.hasChangedSince(changes.moment, placeOf(other))).toBe(false);
});

test("what is no id may mean any session", () => {
  const changes = new ChangedSessions();
  const before = changes.moment;
  changes.note("anything");
  expect(changes.hasChangedSince(before, placeOf(other))).toBe(true);
});
