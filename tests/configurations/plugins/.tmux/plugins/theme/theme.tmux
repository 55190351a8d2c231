#!/usr/bin/env bash
flavour=$(tmux show-option -gqv @theme_flavour)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tmux source-file "$here/$flavour.conf"
