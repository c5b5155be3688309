/** The media type that a content-type names, in lower case; null when it names another charset than UTF-8, the only one that JSON knows. */
export function mediaTypeOf(contentType: string): string | null {
  const [media = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  return parameters.some((each) => each.startsWith('charset=') && !/^charset=("utf-?8"|utf-?8)$/.test(each)) ? null : media;
}
