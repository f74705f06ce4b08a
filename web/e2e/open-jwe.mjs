// Opens a compact JWE with an implementation that is not the desk's: reads { jwk, jwe } as JSON, writes what was in it.
import { readFileSync } from "node:fs";
import { compactDecrypt, importJWK } from "jose";

const { jwk, jwe } = JSON.parse(readFileSync(0, "utf8"));
const key = await importJWK(jwk, "ECDH-ES");
const { plaintext, protectedHeader } = await compactDecrypt(jwe, key, {
  keyManagementAlgorithms: ["ECDH-ES"],
  contentEncryptionAlgorithms: ["A256GCM"],
});
const text = new TextDecoder().decode(plaintext);
process.stdout.write(JSON.stringify({ text, header: protectedHeader }));
