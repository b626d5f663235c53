namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.ActivationForward"/>.</summary>
    public static void ActivationForward(Tensor x, Activation activation, Tensor y)
    {
        const string Op = nameof(ActivationForward);
        RequireFloat(Op, nameof(x), x);
        RequireLike(Op, nameof(y), y, nameof(x), x);
        RequireActivation(Op, activation);
    }

    /// <summary>Checks <see cref="IBackend.ActivationBackward"/>.</summary>
    public static void ActivationBackward(Tensor dy, Tensor x, Activation activation, Tensor dx)
    {
        const string Op = nameof(ActivationBackward);
        RequireFloat(Op, nameof(x), x);
        RequireLike(Op, nameof(dy), dy, nameof(x), x);
        RequireLike(Op, nameof(dx), dx, nameof(x), x);
        RequireActivation(Op, activation);
    }

    private static void RequireActivation(string op, Activation activation) =>
        Require(activation is >= Activation.None and <= Activation.Tanh, op, $"activation {activation} does not exist");
}
