using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Training;

/// <summary>A reranker's step; the goldens hold it against the reference, here are the groups that they have not.</summary>
[TestFixture]
internal sealed class RerankingStepTests
{
    [Test]
    public void Groups_of_different_sizes_count_alike()
    {
        using TempFolder folder = new();
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.LoadReranker(backend, TinyModel.WriteEncoder(folder.File("model")), seed: 1, exact: true);
        using ParameterBlock block = new(backend, model.Parameters);
        using RerankingStep step = new(backend, model);
        Random random = new(1);
        int[] sizes = [2, 3, 3, 1, 2];
        TokenPair[] pairs = [.. Enumerable.Range(0, sizes.Sum()).Select(_ => Pair(random))];

        (float loss, float[] scores) = step.Run(pairs, sizes, seed: 0, gradientScale: 4);
        float[][] together = Gradients(backend, block);
        block.ZeroGradients();
        double mean = 0;
        List<float> each = [];
        for (int g = 0, first = 0; g < sizes.Length; first += sizes[g++])
        {
            (float one, float[] some) = step.Run(pairs[first..(first + sizes[g])], [sizes[g]], seed: 0, gradientScale: 4f / sizes.Length);
            mean += one / (double)sizes.Length;
            each.AddRange(some);
        }

        float[][] apart = Gradients(backend, block);
        Assert.That(loss, Is.EqualTo(mean).Within(1e-6));
        Assert.That(scores, Is.EqualTo(each).Within(1e-6));
        for (int i = 0; i < together.Length; i++)
        {
            double norm = Math.Sqrt(apart[i].Sum(x => (double)x * x)), off = Math.Sqrt(apart[i].Zip(together[i], (x, y) => Math.Pow(x - y, 2)).Sum());
            Assert.That(off, Is.LessThanOrEqualTo((1e-4 * norm) + 1e-6), block.Parameters[i].Name);
        }

        Assert.That(apart.Sum(gradient => gradient.Sum(Math.Abs)), Is.GreaterThan(1));
    }

    private static float[][] Gradients(CpuBackend backend, ParameterBlock block) => [.. block.Parameters.Select(parameter => backend.ToArray(parameter.Gradient))];

    private static TokenPair Pair(Random random)
    {
        int length = random.Next(5, 20);
        return new TokenPair([.. Enumerable.Range(0, length).Select(_ => random.Next(4, 80))], [.. Enumerable.Range(0, length).Select(i => i < 3 ? 0 : 1)]);
    }
}
