import type { Expected } from "./narrator.js";

/** The shop answers with this person's cart. */
export const ok = (cart: string, more: Partial<Expected> = {}): Expected => ({
  status: 200,
  cart,
  ...more,
});

/** The bridge refuses a token. */
export const refused: Expected = { status: 401, error: "invalid-token" };

/** The shop sees a visitor without a session. */
export const notLoggedIn: Expected = { status: 401, error: "not logged in" };
