#!/bin/sh
# Builds, tests and packs the native door for $TARGET in an Alpine container with Node (release-native.yml). Addons are
# shared objects, which musl's targets do not make unless RUSTFLAGS tells them to.
set -eu
apk add --no-cache bash build-base git iproute2 rustup util-linux
rustup-init -y --profile minimal
. "$HOME/.cargo/env"
npm ci
node native/build.mjs build --target "$TARGET"
npx vitest run test/contract/iroh-native.test.ts
node scripts/pack-native.mjs "$TARGET"
