using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>What happens between the products of a layer: all of it bounded by memory.</summary>
internal static class LayerCases
{
    private const float Epsilon = 1e-5f;

    /// <summary>The cases at <paramref name="s"/> with activations in <paramref name="dtype"/>.</summary>
    public static IEnumerable<BenchCase> At(BenchShapes s, DType dtype)
    {
        int t = s.Tokens, h = s.Hidden, f = s.Inner;
        BenchCase Case(string op, string name, int width, double passes, Func<BenchData, Action> prepare) =>
            new(op, name, $"{t} × {width}", dtype, 0, passes * dtype.Size() * t * width, prepare);

        yield return Case(nameof(IBackend.Add), "a + b", h, 3, data =>
        {
            (Tensor a, Tensor b, Tensor sum) = (data.Normal(t, h), data.Normal(t, h), data.New(t, h));
            return () => data.Backend.Add(a, b, sum);
        });
        yield return Case(nameof(IBackend.Scale), "2 a", h, 2, data =>
        {
            (Tensor a, Tensor scaled) = (data.Normal(t, h), data.New(t, h));
            return () => data.Backend.Scale(a, 2, scaled);
        });
        yield return Case(nameof(IBackend.ActivationForward), "GELU", f, 2, data =>
        {
            (Tensor x, Tensor y) = (data.Normal(t, f), data.New(t, f));
            return () => data.Backend.ActivationForward(x, Activation.GeluTanh, y);
        });
        yield return Case(nameof(IBackend.ActivationBackward), "GELU", f, 3, data =>
        {
            (Tensor dy, Tensor x, Tensor dx) = (data.Normal(t, f), data.Normal(t, f), data.New(t, f));
            return () => data.Backend.ActivationBackward(dy, x, Activation.GeluTanh, dx);
        });
        yield return Case(nameof(IBackend.GatedActivationForward), "SwiGLU", f, 3, data =>
        {
            (Tensor gate, Tensor up, Tensor y) = (data.Normal(t, f), data.Normal(t, f), data.New(t, f));
            return () => data.Backend.GatedActivationForward(gate, up, Activation.Silu, y);
        });
        yield return Case(nameof(IBackend.GatedActivationBackward), "SwiGLU", f, 5, data =>
        {
            (Tensor dy, Tensor gate, Tensor up) = (data.Normal(t, f), data.Normal(t, f), data.Normal(t, f));
            (Tensor dgate, Tensor dup) = (data.New(t, f), data.New(t, f));
            return () => data.Backend.GatedActivationBackward(dy, gate, up, Activation.Silu, dgate, dup);
        });

        yield return Case(nameof(IBackend.RmsNormForward), "with residual", h, 4, data =>
        {
            (Tensor x, Tensor residual, Tensor sum, Tensor y) = (data.Normal(t, h), data.Normal(t, h), data.New(t, h), data.New(t, h));
            (Tensor weight, Tensor rstd) = (data.Constant(1, h), data.New(DType.F32, t));
            return () => data.Backend.RmsNormForward(x, residual, weight, 0, Epsilon, sum, y, rstd);
        });
        foreach (bool trained in (bool[])[false, true])
        {
            yield return Case(nameof(IBackend.RmsNormBackward), trained ? "dx, dweight" : "dx", h, 3, data =>
            {
                (Tensor dy, Tensor x, Tensor dx, Tensor weight) = (data.Normal(t, h), data.Normal(t, h), data.New(t, h), data.Constant(1, h));
                (Tensor rstd, Tensor dweight) = (data.Constant(1, t), trained ? data.Constant(0, h) : default);
                return () => data.Backend.RmsNormBackward(dy, x, weight, 0, rstd, dx, accumulate: false, dweight);
            });
        }

        yield return Case(nameof(IBackend.LayerNormForward), "with residual", h, 4, data =>
        {
            (Tensor x, Tensor residual, Tensor sum, Tensor y) = (data.Normal(t, h), data.Normal(t, h), data.New(t, h), data.New(t, h));
            (Tensor weight, Tensor bias, Tensor mean, Tensor rstd) = (data.Constant(1, h), data.Constant(0, h), data.New(DType.F32, t), data.New(DType.F32, t));
            return () => data.Backend.LayerNormForward(x, residual, weight, bias, Epsilon, sum, y, mean, rstd);
        });
        yield return Case(nameof(IBackend.LayerNormBackward), "dx, dweight, dbias", h, 3, data =>
        {
            (Tensor dy, Tensor x, Tensor dx, Tensor weight) = (data.Normal(t, h), data.Normal(t, h), data.New(t, h), data.Constant(1, h));
            (Tensor mean, Tensor rstd, Tensor dweight, Tensor dbias) = (data.Constant(0, t), data.Constant(1, t), data.Constant(0, h), data.Constant(0, h));
            return () => data.Backend.LayerNormBackward(dy, x, weight, mean, rstd, dx, accumulate: false, dweight, dbias);
        });
        yield return Case(nameof(IBackend.Rope), "q", h, 2, data =>
        {
            int half = h / s.Heads / 2;
            double[] angles = [.. Enumerable.Range(0, s.Length * half).Select(i => i / half * Math.Pow(10_000, -(double)(i % half) / half))];
            (Tensor cos, Tensor sin) = (data.New(DType.F32, s.Length, half), data.New(DType.F32, s.Length, half));
            data.Backend.Upload<float>(Array.ConvertAll(angles, a => (float)Math.Cos(a)), cos);
            data.Backend.Upload<float>(Array.ConvertAll(angles, a => (float)Math.Sin(a)), sin);
            (Tensor x, Tensor positions) = (data.Normal(t, s.Heads, 2 * half), data.Integers([.. Enumerable.Range(0, t).Select(i => i % s.Length)]));
            return () => data.Backend.Rope(x, positions, cos, sin, inverse: false);
        });
    }
}
