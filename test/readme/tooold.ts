/** What the document shows next is not there in the PostgreSQL that the tests run on. */
export class TooOld extends Error {}
