import type { Context } from "koa";

// Nothing shorter can be told from an ordinary word.
const shortestSecret = 12;

/**
 * Tells whether a text repeats a credential of the request, or contains one, or is a part of one.
 *
 * @param accessToken from wherever the application reads it
 */
export function secretsOf(ctx: Context, accessToken = ""): (text: string) => boolean {
  const sent = `${ctx.get("Cookie")} ${ctx.get("Authorization")} ${accessToken}`;
  const credentials = `${sent} ${decoded(sent)}`;
  let words: string[] | undefined;
  return (text) => {
    if (text.length < shortestSecret) return false;
    words ??= credentials.split(/[^\w-]+/).filter(({ length }) => length >= shortestSecret);
    return credentials.includes(text) || words.some((word) => text.includes(word));
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
