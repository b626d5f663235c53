using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Training;

namespace RetrievalEngine.Verification;

/// <summary>Compares the gradients of a training step with those of a reference file, where they are called <c>grad.NAME</c>.</summary>
internal static class GradientComparison
{
    private const string Gradient = "grad.";

    /// <summary>
    /// One item over all gradients of <paramref name="block"/>, the worst named, within <paramref name="tolerance"/>. The key bias of BERT's attention has no
    /// gradient in exact arithmetic (it shifts all logits of a query alike), nor has the bias of a reranker's classifier: what is left is rounding and is held
    /// against the largest gradient of the file.
    /// </summary>
    public static IEnumerable<VerificationItem> Compare(string item, IBackend backend, ParameterBlock block, SafeTensorsFile expected, Func<string, string> nameOf,
        double tolerance, double zeroTolerance)
    {
        HashSet<string> compared = [], zeros = [];
        double worst = 0, worstZero = 0, largest = expected.Tensors.Where(IsGradient).Max(t => Distance.Norm(expected.ReadFloat32(t.Name)));
        string? worstName = null;
        foreach (Parameter parameter in block.Parameters)
        {
            string name = Gradient + nameOf(parameter.Name);
            compared.Add(name);
            float[] actual = backend.ToArray(parameter.Gradient), wanted = expected.ReadFloat32(name);
            if (name.EndsWith("key.bias", StringComparison.Ordinal) || name.EndsWith("classifier.modules_to_save.bias", StringComparison.Ordinal))
            {
                worstZero = Math.Max(worstZero, Math.Max(Distance.Norm(actual), Distance.Norm(wanted)) / largest);
                zeros.Add(parameter.Name[(parameter.Name.LastIndexOf('.', parameter.Name.LastIndexOf('.') - 1) + 1)..]);
                continue;
            }

            double distance = Distance.RelativeL2(actual, wanted);
            if (distance >= worst) (worst, worstName) = (distance, parameter.Name);
        }

        yield return VerificationItem.Of(item, $"{compared.Count} gradients", worst, tolerance, $"worst: {worstName}");
        if (zeros.Count > 0) yield return VerificationItem.Of(item, $"gradients of {string.Join(", ", zeros)}", worstZero, zeroTolerance);
        foreach (StoredTensor tensor in expected.Tensors.Where(IsGradient))
        {
            if (!compared.Contains(tensor.Name))
                yield return VerificationItem.Of(item, tensor.Name, double.PositiveInfinity, tolerance, "the reference has this gradient, the model does not");
        }

        static bool IsGradient(StoredTensor tensor) => tensor.Name.StartsWith(Gradient, StringComparison.Ordinal);
    }
}
