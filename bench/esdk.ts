/** The AWS Encryption SDK for JavaScript, as its own documentation sets it up: raw AES keyring, commitment required. */
import { randomBytes } from "node:crypto"
import {
  AlgorithmSuiteIdentifier, buildClient, CommitmentPolicy, RawAesKeyringNode, RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node"

/** Its client. */
export const esdk = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)

/** A root key in memory. The SDK wants the key in memory of its own, which `Uint8Array.from` gives. */
export const keyring = new RawAesKeyringNode({
  keyName: "root key", keyNamespace: "bench", unencryptedMasterKey: Uint8Array.from(randomBytes(32)),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
})

/** The suite without signatures, with key commitment. */
export const unsigned = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY
