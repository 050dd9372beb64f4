"""Writes crates/unify/Cargo.toml: the dependencies whose features differ from crate to crate.

Run it from the root after dependencies have changed: `python3 tools/unify.py`.
"""
import collections
import os
import re
import subprocess

pk=[l.split('"')[1] for d in sorted(os.listdir('crates'))+['../xtask'] for l in open(f'crates/{d}/Cargo.toml') if l.startswith('name = ') and os.path.isdir(f'crates/{d}')]
pk=list(dict.fromkeys(p for p in pk if p.startswith('proxima') or p=='xtask'))
pk=[p for p in pk if p not in('proxima_cli','proxima-unify')]
def tree(args,edges):
    out=subprocess.run(['cargo','tree','--offline','-e',edges,'--prefix','none','-f','{p}|{f}','--target','x86_64-unknown-linux-gnu']+args,capture_output=True,text=True); assert out.returncode==0,out.stderr
    d={}
    for l in out.stdout.splitlines():
        l=l.replace(' (*)','')
        if '|' in l:
            p,f=l.split('|',1)
            p=p.split(' (')[0]
            d.setdefault(p,set()).add(f)
    return d
w=tree(['--workspace'],'normal,build,dev')
ent={}
for p in pk:
    t=tree(['-p',p],'normal,build,dev')
    for k,v in t.items():
        if k.startswith(('proxima','xtask')): continue
        if not v<=w.get(k,set()): ent[k]=sorted(set(','.join(w[k]).split(','))-{''})
names=collections.Counter(k.split(' v')[0] for k in w)
lines=[]
for k in sorted(ent):
    n,v=k.split(' v'); v=v.split('+')[0]; maj=v.split('.'); req=maj[0] if maj[0]!='0' else '.'.join(maj[:2])
    feats=', '.join(f'"{f}"' for f in ent[k])
    key=n if names[n]==1 else f'{n}-{maj[0]}-{maj[1]}'
    pkg='' if names[n]==1 else f'package = "{n}", '
    if n.startswith(('datafusion','arrow','object_store')): req='='+v
    lines.append(f'{key} = {{ {pkg}version = "{req}", default-features = false, features = [{feats}] }}')
host={'syn','quote','proc-macro2','serde_core','memchr','libc','once_cell','indexmap','hashbrown','foldhash','log','smallvec'}
body='\n'.join(lines)
hostbody='\n'.join(l for l in lines if re.match(r'(syn)\b',l))
os.makedirs('crates/unify/src',exist_ok=True)
open('crates/unify/Cargo.toml','w').write(f'''# Every dependency whose features differ between crates, with the features that the workspace as a whole gives it. A
# dev-dependency of every crate: so `cargo test -p CRATE` builds nothing again that `cargo test --workspace` has built,
# and a release build does not see it. Written by `tools/unify.py`.
[package]
name = "proxima-unify"
description = "Gives dependencies the same features in the tests of every crate."
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[dependencies]
{body}

[build-dependencies]
{hostbody}

[lints]
workspace = true
''')
open('crates/unify/src/lib.rs','w').write('//! Nothing but its dependencies: see `Cargo.toml`.\n')
open('crates/unify/build.rs','w').write('//! Here so that the build dependencies count.\nfn main() {\n    println!("cargo::rerun-if-changed=build.rs");\n}\n')
print(len(lines),'entries')
