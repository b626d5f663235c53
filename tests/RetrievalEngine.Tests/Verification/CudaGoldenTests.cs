using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda;
using RetrievalEngine.TestKit;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Tests.Verification;

/// <summary>
/// Models and trainings of one family of each kind on the CUDA backend, compared as <c>retrieval verify --device cuda:0</c> does (which CudaVerifyTests runs).
/// </summary>
[TestFixture]
internal sealed class CudaGoldenTests
{
    // No single number may be further off than so many times what rounding alone makes of it, and all of them together hardly more than it.
    private const double Farthest = 3, Together = 1.5;

    [TestCase("qwen3")]
    [TestCase("gemma2")]
    [TestCase("phi1.5")]
    [TestCase("roberta")]
    [TestCase("modernbert")]
    [TestCase("t5-v1.0")]
    [TestCase("t5-v1.1")]
    public void Float32_is_within_ten_times_the_tolerances_of_the_cpu(string family)
    {
        List<VerificationItem> items = Verify(CreateCuda(DType.F32), family);
        foreach (VerificationItem item in items) TestContext.Out.WriteLine($"{item.Item} | {item.Measure} | {item.Error:G3} | {item.Note}");
        Assert.That(items.Where(i => i.Outcome != VerificationOutcome.Ok), Is.Empty);
        Assert.That(items, Has.Count.GreaterThanOrEqualTo(10));
    }

    /// <summary>
    /// On these small models of random weights rounding alone costs more than the tolerances of <see cref="VerificationTolerances.Gpu"/> (docs/decisions.md),
    /// so the measure is what it costs. A loss is one number, which may be right by luck: the worst of both losses stands for each.
    /// </summary>
    [TestCase("llama3")]
    [TestCase("qwen3")]
    [TestCase("gemma2")]
    [TestCase("phi1.5")]
    [TestCase("bert")]
    [TestCase("modernbert")]
    [TestCase("t5-v1.1")]
    public void Bfloat16_loses_what_rounding_loses(string family)
    {
        List<VerificationItem> items = Verify(CreateCuda(DType.BF16), family), rounded = Verify(new RoundedBackend(DType.BF16), family);
        static bool IsLoss(VerificationItem item) => item.Measure.StartsWith("loss", StringComparison.Ordinal);
        double lossFloor = rounded.Where(IsLoss).Max(item => item.Error), sum = 0;
        int count = 0;
        foreach ((VerificationItem item, VerificationItem least) in items.Zip(rounded))
        {
            TestContext.Out.WriteLine($"{item.Item} | {item.Measure} | {item.Error:G3} | rounding alone {least.Error:G3}");
            double floor = IsLoss(item) ? lossFloor : least.Error;
            Assert.That(item.Error, Is.LessThan(Math.Max(item.Tolerance, Farthest * floor)), $"{item.Item} {item.Measure}");
            if (IsLoss(item)) continue;
            sum += Math.Log(item.Error / least.Error);
            count++;
        }

        Assert.That(count, Is.GreaterThanOrEqualTo(8));
        Assert.That(Math.Exp(sum / count), Is.LessThan(Together));
    }

    private static CudaBackend CreateCuda(DType dtype)
    {
        if (CudaLibrary.Missing is { } reason) Assert.Ignore(reason);
        return CudaBackend.TryCreate(0, dtype, out CudaBackend? backend, out reason) ? backend : throw new InvalidOperationException(reason);
    }

    private static List<VerificationItem> Verify(IBackend backend, string family)
    {
        using (backend)
        {
            VerificationTolerances tolerances = VerificationTolerances.Gpu(backend.ActivationDType);
            return
            [
                .. new ModelVerifier(backend, tolerances).Verify(Goldens.Folder("models", family), family),
                .. new TrainingVerifier(backend, tolerances).Verify(Goldens.Folder("training", family), family),
            ];
        }
    }
}
