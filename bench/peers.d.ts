/** What is used of a package that only `npm install` in this folder brings: so the types check without it. */
declare module "@aws-crypto/client-node" {
  import type { Duplex } from "node:stream"

  /** A keyring that wraps data keys under an AES key in memory. */
  export interface RawAesKeyringNode {
    readonly keyName: string
  }
  export const RawAesKeyringNode: new (options: {
    keyName: string
    keyNamespace: string
    unencryptedMasterKey: Uint8Array
    wrappingSuite: number
  }) => RawAesKeyringNode
  export const RawAesWrappingSuiteIdentifier: { readonly AES256_GCM_IV12_TAG16_NO_PADDING: number }
  export const AlgorithmSuiteIdentifier: { readonly ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY: number }
  export const CommitmentPolicy: { readonly REQUIRE_ENCRYPT_REQUIRE_DECRYPT: string }
  export function buildClient(policy: string): {
    encryptStream(keyring: RawAesKeyringNode): Duplex
    decryptStream(keyring: RawAesKeyringNode): Duplex
    encrypt(keyring: RawAesKeyringNode, plaintext: Buffer, options: { suiteId: number }): Promise<{ result: Buffer }>
    decrypt(keyring: RawAesKeyringNode, ciphertext: Buffer): Promise<{ plaintext: Buffer }>
  }
}
