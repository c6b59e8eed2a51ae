import type { Context } from "koa";

// Nothing shorter can be told from an ordinary word.
const shortestSecret = 12;

/**
 * Tells whether a text repeats a credential of the request, or contains one, or is a part of one. Looks at
 * the request only when it is asked of a text that is long enough.
 *
 * @param readAccessToken from wherever the application reads it
 */
export function secretsOf(
  ctx: Context,
  readAccessToken: (ctx: Context) => string | undefined,
): (text: string) => boolean {
  let sent: { readonly credentials: string; readonly words: readonly string[] } | undefined;
  return (text) => {
    if (text.length < shortestSecret) return false;
    const { credentials, words } = (sent ??= credentialsOf(ctx, readAccessToken(ctx) ?? ""));
    return credentials.includes(text) || words.some((word) => text.includes(word));
  };
}

function credentialsOf(ctx: Context, accessToken: string) {
  const sent = `${ctx.get("Cookie")} ${ctx.get("Authorization")} ${accessToken}`;
  const credentials = `${sent} ${decoded(sent)}`;
  const words = credentials.split(/[^\w-]+/).filter(({ length }) => length >= shortestSecret);
  return { credentials, words };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
