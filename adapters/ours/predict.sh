# What the challenge calls in /workspace, once a step.
exec segbench predict --model ours --inputs inputs --outputs outputs
