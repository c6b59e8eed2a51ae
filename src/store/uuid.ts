const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Whether the text is a UUID in the one form that PostgreSQL writes: in another it would be another key. */
export const isUuid = (text: string): boolean => uuid.test(text);
