import type { Element } from "./xml.ts"

/** The owner of all buckets and objects, as listings and notifications name it. */
export const owner = "bucketseal"

/** The same, as the children of an `Owner` element. */
export const ownerElements: readonly Element[] = [["ID", owner], ["DisplayName", owner]]
