#!/usr/bin/env bash
is_default() { [ "$(tmux show-option -gqv "$1")" = "$2" ]; }
is_default escape-time 500 && tmux set-option -s escape-time 0
is_default history-limit 2000 && tmux set-option -g history-limit 50000
is_default display-time 750 && tmux set-option -g display-time 4000
tmux set-option -g focus-events on
[ -z "$(tmux list-keys | grep 'bind-key.*prefix *R ')" ] && tmux bind-key R run-shell "tmux source-file ~/.tmux.conf"
tmux bind-key C-p previous-window
tmux bind-key C-n next-window
