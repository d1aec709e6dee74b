module busbar.dev/interop/signing

go 1.19
