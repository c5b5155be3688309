/** Minor digits per ISO 4217 currency. */
export const exponents: Readonly<Record<string, number>> = { USD: 2 };
