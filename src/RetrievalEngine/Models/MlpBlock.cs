using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>The feed-forward part: y = down(f(gate(x)) · up(x)), or down(f(up(x))) without a gate.</summary>
internal sealed class MlpBlock(IBackend backend, LinearPart? gate, LinearPart up, Linear down, Activation activation)
{
    private readonly LinearGroup _in = gate is { } g ? new(backend, g, up) : new(backend, up);
    private readonly LinearGroup _down = new(backend, down);

    /// <summary>y [T, H] from x [T, H].</summary>
    public Tensor Forward(Tensor x, BatchTensors batch, ulong seed, Arena arena, out Saved saved)
    {
        // What backward does not ask for is never written.
        bool fused = gate is null && !batch.Training;
        Tensor[] inner = _in.Forward(x, Seeds.Derive(seed, 2), arena, out LinearGroup.Saved inSaved, fused ? activation : Activation.None);
        Tensor active = inner[0];
        if (!fused)
        {
            active = arena.Allocate(inner[0].Shape, backend.ActivationDType);
            if (gate is null) backend.ActivationForward(inner[0], activation, active);
            else backend.GatedActivationForward(inner[0], inner[1], activation, active);
        }

        Tensor[] y = _down.Forward(active, Seeds.Derive(seed, 3), arena, out LinearGroup.Saved downSaved);
        saved = new Saved(inSaved, inner, downSaved);
        return y[0];
    }

    /// <summary>dx from dy; see <see cref="AttentionBlock.Backward"/>.</summary>
    public void Backward(Tensor dy, Saved saved, Tensor dx, bool accumulate, Arena arena)
    {
        Tensor dactive = arena.Allocate(saved.Inner[0].Shape, backend.ActivationDType);
        _down.Backward([dy], saved.Down, dactive, accumulate: false);
        if (gate is null)
        {
            backend.ActivationBackward(dactive, saved.Inner[0], activation, dactive);
            _in.Backward([dactive], saved.In, dx, accumulate);
            return;
        }

        Tensor dup = arena.Allocate(dactive.Shape, backend.ActivationDType);
        backend.GatedActivationBackward(dactive, saved.Inner[0], saved.Inner[1], activation, dactive, dup);
        _in.Backward([dactive, dup], saved.In, dx, accumulate);
    }

    /// <summary>What backward needs: the inputs of the non-linearity.</summary>
    internal readonly record struct Saved(LinearGroup.Saved In, Tensor[] Inner, LinearGroup.Saved Down);
}
