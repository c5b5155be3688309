import type { FastifyRequest } from 'fastify';

/*
 * Which methods each address takes. Fastify answers 404 both for an address that nobody has and for one that takes other methods; a caller
 * who mistyped the method is helped more by a 405.
 */
const routes = new WeakMap<object, { readonly methods: readonly string[]; readonly pattern: RegExp }[]>();

/** Remembers a route of this server as it is registered; `url` has its parameters as `:name`. */
export function rememberRoute(server: object, url: string, methods: readonly string[]): void {
  if (url.includes('*')) return;
  const pattern = new RegExp(`^${url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`);
  routes.set(server, [...(routes.get(server) ?? []), { methods, pattern }]);
}

/** The methods that the request's address takes; none when there is no such address. */
export function allowedMethods({ server, url }: FastifyRequest): readonly string[] {
  const path = url.split('?', 1)[0] ?? '';
  const found = (routes.get(server) ?? []).filter(({ pattern }) => pattern.test(path));
  return [...new Set(found.flatMap(({ methods }) => methods))];
}
