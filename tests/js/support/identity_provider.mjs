// A certified OpenID Connect provider, on a port of its own.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

import Provider from "oidc-provider";

import { freePort } from "./ports.mjs";

export const CLIENT = { id: "plan", secret: "a secret: 100 % of it, with + and &" };

/** The groups of its users. Any password is accepted. */
const GROUPS = { cfo: ["staff", "finance"], ceo: ["board"], intern: ["staff"] };

export class IdentityProvider {
  /** `address`: that of the server, which is its client. */
  constructor(port, address) {
    this.port = port;
    this.address = address;
  }

  get issuer() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts with a new key. */
  async start() {
    const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: [`${this.address}/api/login/callback`],
        },
      ],
      claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["groups"] },
      // Like most providers, it puts the claims of the scopes into the ID token.
      conformIdTokenClaims: false,
      cookies: { keys: ["a key of the tests"] },
      features: { devInteractions: { enabled: true } },
      findAccount: (_, sub) => ({
        accountId: sub,
        claims: () => ({ sub, email: `${sub}@example.com`, email_verified: true, groups: GROUPS[sub] ?? [] }),
      }),
      jwks: { keys: [{ ...key, use: "sig", alg: "RS256", kid: `key-${Date.now()}` }] },
      pkce: { required: () => true },
    });
    this.server = createServer(provider.callback());
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
  }

  async stop() {
    this.server.closeAllConnections();
    if (this.server.listening) await new Promise((resolve) => this.server.close(resolve));
  }
}
