#!/usr/bin/env bash
selection=$(tmux show-option -gqv @yank_selection)
tmux bind-key -T copy-mode-vi y send-keys -X copy-pipe-and-cancel "xsel -i --$selection"
tmux bind-key -T copy-mode MouseDragEnd1Pane send-keys -X copy-pipe-and-cancel "xsel -i --$selection"
