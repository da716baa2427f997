# Source this to have the checkout's Node.js and pnpm on the PATH: source tools/env.sh
_roundhouse_tools=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)
[ -x "$_roundhouse_tools/../.toolchain/bin/node" ] || node "$_roundhouse_tools/bootstrap.mjs" setup
PATH="$(cd "$_roundhouse_tools/.." && pwd)/.toolchain/bin:$PATH"
unset _roundhouse_tools
