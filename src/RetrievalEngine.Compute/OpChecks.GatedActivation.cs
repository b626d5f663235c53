namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.GatedActivationForward"/>.</summary>
    public static void GatedActivationForward(Tensor gate, Tensor up, Activation activation, Tensor y)
    {
        const string Op = nameof(GatedActivationForward);
        RequireFloat(Op, nameof(gate), gate);
        RequireLike(Op, nameof(up), up, nameof(gate), gate);
        RequireLike(Op, nameof(y), y, nameof(gate), gate);
        RequireActivation(Op, activation);
    }

    /// <summary>Checks <see cref="IBackend.GatedActivationBackward"/>.</summary>
    public static void GatedActivationBackward(Tensor dy, Tensor gate, Tensor up, Activation activation, Tensor dgate, Tensor dup)
    {
        const string Op = nameof(GatedActivationBackward);
        RequireFloat(Op, nameof(gate), gate);
        RequireLike(Op, nameof(dy), dy, nameof(gate), gate);
        RequireLike(Op, nameof(up), up, nameof(gate), gate);
        RequireLike(Op, nameof(dgate), dgate, nameof(gate), gate);
        RequireLike(Op, nameof(dup), dup, nameof(gate), gate);
        RequireActivation(Op, activation);
    }
}
